export type MirrorPolicy = unknown; // replaced by the zod schema
