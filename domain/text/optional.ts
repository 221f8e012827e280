import type { z } from 'zod';

/** A field that may be left out; some writers say null instead (docs/rules/registry-access.md#null-is-nothing). */
export function optional<Shape extends z.ZodType>(shape: Shape) {
  return shape.nullish().transform((value) => value ?? undefined);
}
