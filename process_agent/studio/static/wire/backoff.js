/** Waits between connection attempts. */

const FIRST = 500;
const LONGEST = 15_000;

/**
 * Milliseconds before attempt `attempt` (from 0): doubling, at most 15 s, up to a quarter shorter at random so
 * that the tabs of a restarted room do not all come at once.
 * @param {number} attempt
 * @param {number} [random] from 0 up to 1
 */
export function delayBefore(attempt, random = Math.random()) {
  const full = Math.min(FIRST * 2 ** Math.min(attempt, 10), LONGEST);
  return Math.round(full * (1 - random / 4));
}
