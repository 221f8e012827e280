import type { ConnectionLike } from '@temporalio/client';
import { connectTo } from '../connect.js';

const THIRTY_DAYS_SECONDS = 30 * 24 * 3600;
/** A busy machine may let a server that listens wait for long before it answers. */
const ANSWERS_WITHIN_MS = 30_000;

/**
 * Sets the embedded server's retention (docs/rules/durability.md#finished-runs-are-kept-for-30-days), once the
 * namespace is registered, a moment after the server listens.
 */
export async function keepHistories(address: string, namespace: string): Promise<void> {
  const { connection } = await connectTo({ address, namespace, connection: { connectTimeout: ANSWERS_WITHIN_MS } });
  try {
    await registered(connection, namespace);
    const config = { workflowExecutionRetentionTtl: { seconds: THIRTY_DAYS_SECONDS } };
    await connection.workflowService.updateNamespace({ namespace, config } as never);
  } finally {
    await connection.close();
  }
}

async function registered(connection: ConnectionLike, namespace: string): Promise<void> {
  const until = performance.now() + ANSWERS_WITHIN_MS;
  for (;;) {
    try {
      await connection.workflowService.describeNamespace({ namespace });
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
