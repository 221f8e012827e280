export type Paint = (text: string) => string;

/** How a terminal shows good, doubtful, bad and minor text; without colour these return the text as it is. */
export interface Palette {
  readonly good: Paint;
  readonly doubtful: Paint;
  readonly bad: Paint;
  readonly minor: Paint;
}

const same: Paint = (text) => text;
export const NO_PALETTE: Palette = { good: same, doubtful: same, bad: same, minor: same };
