// Starts, follows and awaits a reconcile from CI or another program:
//
//   TEMPORAL_ADDRESS=temporal.example.com:7233 node examples/sdk/reconcile.mjs policies/
//
// With `houba up`, give it the address that it prints. The exit code is the one that `houba reconcile` would have.
import { exitCodeOf, fleetInput, HoubaClient, readPolicyFiles, renderReport } from 'houba';

const policies = await readPolicyFiles(process.argv[2] ?? 'policies');
const houba = await HoubaClient.connect();
try {
  // If the same policies are being reconciled already, by a CI job that was killed for one, that run is joined.
  const run = await houba.startReconcile(fleetInput(policies), { note: console.error });
  console.error(`${run.joined ? 'following' : 'started'} ${run.workflowId}`);
  const following = houba.follow(run, ({ phase, policies: { done, total, current } }) => {
    console.error(`${phase}: ${done} of ${total} policies; now ${current.join(', ') || 'none'}`);
  });
  const report = await houba.await(run);
  await following;
  process.stdout.write(renderReport(report, { verbose: true }));
  process.exitCode = exitCodeOf(report);
} finally {
  await houba.close();
}
