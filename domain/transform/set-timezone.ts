import { utf8ToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { HoubaError } from '../errors.js';
import { nearest } from '../text/nearest.js';
import { type ImageFiles, replaceFile } from './image-files.js';
import type { StepKind } from './step.js';

const ZONES = '/usr/share/zoneinfo';

/** Without dots: a zone never leaves its folder. */
const ZONE = /^[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+)*$/;

export const setTimezone: StepKind<{ zone: string }> = {
  name: 'setTimezone',
  params: z.strictObject({
    zone: z.string('must be text').max(100, 'is too long').regex(ZONE, 'is not a time zone such as Europe/Rome'),
  }),
  resources: () => [],
  wantedPaths: () => ['/etc/timezone'],
  apply({ zone }, _configured, image) {
    const file = `${ZONES}/${zone}`;
    if (image.resolve(file).kind !== 'file') {
      const meant = nearestZone(zone, image);
      throw new HoubaError('PolicyInvalid', `setTimezone: the image has no time zone file ${file}`, {
        hint: meant === null ? 'use a zone of the image, or a base image that has tzdata' : `did you mean ${meant}?`,
      });
    }
    return {
      // The link is replaced: its target is the file of another zone.
      files: [
        { path: image.locate('/etc/localtime'), content: { link: file } },
        ...replaceFile(image, '/etc/timezone', utf8ToBytes(`${zone}\n`)),
      ],
      env: { TZ: zone },
    };
  },
};

function nearestZone(zone: string, image: ImageFiles): string | null {
  const region = zone.slice(0, zone.lastIndexOf('/') + 1);
  const zones = image.list(`${ZONES}/${region}`).map((name) => region + name);
  return nearest(
    zone,
    zones.filter((one) => image.resolve(`${ZONES}/${one}`).kind === 'file'),
  );
}
