/** Tags as official images have them, each list cut down to the forms that matter. */
const LISTS = {
  postgres: `
  18 18-alpine 18-alpine3.23 18-alpine3.24 18-bookworm 18-trixie 18.0 18.0-alpine 18.0-bookworm 18.0-trixie
  18.1 18.1-alpine 18.1-alpine3.23 18.1-bookworm 18.1-trixie 18.2 18.2-alpine 18.2-alpine3.23 18.2-bookworm
  18.2-trixie 18.3 18.3-alpine 18.3-alpine3.23 18.3-bookworm 18.3-trixie 18.4 18.4-alpine 18.4-alpine3.23
  18.4-alpine3.24 18.4-bookworm 18.4-trixie 18.6 18.6-alpine 18.6-alpine3.23 18.6-alpine3.24 18.6-bookworm
  18.6-trixie 18beta1 18beta1-alpine 18beta1-bookworm 18beta2 18beta2-alpine 18beta2-bookworm
  18beta2-trixie 18beta3 18beta3-alpine 18beta3-bookworm 18beta3-trixie 18rc1 18rc1-alpine 18rc1-bookworm
  18rc1-trixie 19beta1 19beta1-alpine 19beta1-alpine3.23 19beta1-alpine3.24 19beta1-bookworm 19beta1-trixie
  19beta2 19beta2-alpine 19beta2-alpine3.23 19beta2-alpine3.24 19beta2-bookworm 19beta2-trixie 19beta3
  19beta3-alpine 19beta3-alpine3.23 19beta3-alpine3.24 19beta3-bookworm 19beta3-trixie 9.6.10 9.6.10-alpine
  9.6.11 9.6.11-alpine 9.6.12 9.6.12-alpine 9.6.13 9.6.13-alpine 9.6.14 9.6.14-alpine 9.6.15 9.6.15-alpine
  9.6.16 9.6.16-alpine 9.6.17 9.6.17-alpine 9.6.18 9.6.18-alpine 9.6.19 9.6.19-alpine 9.6.24 9.6.24-alpine
  9.6.9 9.6.9-alpine alpine latest trixie`,
  debian: `
  12 12-slim 12.0 12.0-slim 12.1 12.1-slim 12.10 12.10-slim 12.11 12.11-slim 12.12 12.12-slim 12.13
  12.13-slim 12.14 12.14-slim 12.15 12.15-slim 12.2 12.2-slim 12.4 12.4-slim 12.5 12.5-slim 12.6 12.6-slim
  12.7 12.7-slim 12.8 12.8-slim 12.9 12.9-slim 13 13-slim 13.0 13.0-slim 13.1 13.1-slim 13.2 13.2-slim 13.3
  13.3-slim 13.4 13.4-slim 13.5 13.5-slim 13.6 13.6-slim bookworm-20260505 bookworm-20260505-slim
  bookworm-20260518 bookworm-20260518-slim bookworm-20260610 bookworm-20260610-slim bookworm-20260623
  bookworm-20260623-slim bookworm-20260713 bookworm-20260713-slim bookworm-20260803 bookworm-20260803-slim
  rc-buggy-20260505 rc-buggy-20260518 rc-buggy-20260610 rc-buggy-20260623 rc-buggy-20260713
  rc-buggy-20260803 trixie-20260505 trixie-20260505-slim trixie-20260518 trixie-20260518-slim
  trixie-20260610 trixie-20260610-slim trixie-20260623 trixie-20260623-slim trixie-20260713
  trixie-20260713-slim trixie-20260803 trixie-20260803-slim`,
  node: `
  24.10.0 24.10.0-alpine 24.10.0-alpine3.22 24.10.0-bookworm-slim 24.11.0 24.11.0-alpine 24.11.0-alpine3.22
  24.11.0-bookworm-slim 24.11.1 24.11.1-alpine 24.11.1-alpine3.22 24.11.1-alpine3.23 24.11.1-bookworm-slim
  24.12.0 24.12.0-alpine 24.12.0-alpine3.22 24.12.0-alpine3.23 24.12.0-bookworm-slim 24.13.0 24.13.0-alpine
  24.13.0-alpine3.22 24.13.0-alpine3.23 24.13.0-bookworm-slim 24.13.1 24.13.1-alpine 24.13.1-alpine3.22
  24.13.1-alpine3.23 24.13.1-bookworm-slim 24.14.0 24.14.0-alpine 24.14.0-alpine3.22 24.14.0-alpine3.23
  24.14.0-bookworm-slim 24.14.1 24.14.1-alpine 24.14.1-alpine3.22 24.14.1-alpine3.23 24.14.1-bookworm-slim
  24.15.0 24.15.0-alpine 24.15.0-alpine3.22 24.15.0-alpine3.23 24.15.0-bookworm-slim 24.16.0 24.16.0-alpine
  24.16.0-alpine3.22 24.16.0-alpine3.23 24.16.0-bookworm-slim 24.17.0 24.17.0-alpine 24.17.0-alpine3.23
  24.17.0-bookworm-slim 24.18.0 24.18.0-alpine 24.18.0-alpine3.23 24.18.0-bookworm-slim 24.18.1
  24.18.1-alpine 24.18.1-alpine3.23 24.18.1-bookworm-slim 24.19.0 24.19.0-alpine 24.19.0-alpine3.23
  24.19.0-bookworm-slim 24.9.0 24.9.0-alpine 24.9.0-alpine3.22 24.9.0-bookworm-slim`,
  redis: `
  32bit 32bit-stretch 6.0-alpine 6.0-alpine3.18 6.0-alpine3.19 6.0-bookworm 6.0-bullseye 6.0-rc
  6.0-rc-32bit 6.0-rc-alpine 6.0-rc1 6.0-rc1-32bit 6.0-rc1-alpine 6.0-rc2 6.0-rc2-alpine 6.0-rc3
  6.0-rc3-alpine 6.0-rc4 6.0-rc4-alpine 6.0.20 6.0.20-alpine 6.0.20-alpine3.18 6.0.20-alpine3.19
  6.0.20-bookworm 8.10 8.10-alpine 8.10-alpine3.23 8.10-rc2 8.10-rc2-alpine 8.10-rc2-alpine3.23 8.10.0
  8.10.0-alpine 8.10.0-alpine3.23 8.10.1 8.10.1-alpine 8.10.1-alpine3.23 8.8 8.8-alpine 8.8-alpine3.23
  8.8-m03 8.8-m03-alpine 8.8-m03-alpine3.23 8.8-rc1 8.8-rc1-alpine 8.8-rc1-alpine3.23 8.8.0 8.8.0-alpine
  8.8.0-alpine3.23 8.8.1 8.8.1-alpine 8.8.1-alpine3.23 8.8.2 8.8.2-alpine 8.8.2-alpine3.23 latest`,
};

export function realTags(image: keyof typeof LISTS): string[] {
  return LISTS[image].trim().split(/\s+/);
}
