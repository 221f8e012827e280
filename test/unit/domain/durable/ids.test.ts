import { describe, expect, it } from 'vitest';
import { fleetId, placementId, planFleetId, planId, policyId } from '../../../../domain/durable/ids.js';

const AT = new Date('2026-03-02T05:00:11.204Z');
const LONG = { host: 'registry.example', path: `${'a'.repeat(180)}/redis` };

describe('a workflow id', () => {
  it.each([
    [fleetId(AT), 'reconcile-fleet-2026-03-02T05-00-11.204Z'],
    [planFleetId(AT), 'plan-fleet-2026-03-02T05-00-11.204Z'],
    [policyId('redis'), 'reconcile/redis'],
    [planId('redis', AT), 'plan/redis-2026-03-02T05-00-11.204Z'],
    [
      placementId({ host: 'registry.example:5000', path: 'lib/redis' }, '7.2.0'),
      'place/registry.example:5000/lib/redis:7.2.0',
    ],
  ])('says what it is about: %s', (id, expected) => {
    expect(id).toBe(expected);
  });

  it('is never longer than some servers bear', () => {
    expect(placementId(LONG, '7.2.0').length).toBe(200);
    expect(policyId('p'.repeat(253)).length).toBe(200);
  });

  it('stays unique when it is cut, and the same for the same thing', () => {
    expect(placementId(LONG, '7.2.0')).not.toBe(placementId(LONG, '7.2.1'));
    expect(placementId(LONG, '7.2.0')).toBe(placementId(LONG, '7.2.0'));
  });
});
