/** Who may decide about what a turn waits for, as the agent names them. Pure. */

const PEOPLE = "user";
const ROLE = "role:";

/**
 * Whom a request waits for, when it is not for the user of this page; who follows a link of the local room has the
 * role `user`.
 * @param {string[]} approvers
 * @param {string | null} self
 * @returns {string | null}
 */
export function waitsFor(approvers, self) {
  if (approvers.length === 0 || approvers.includes(PEOPLE) || approvers.includes(`${ROLE}${PEOPLE}`)) return null;
  if (self !== null && approvers.includes(self)) return null;
  const names = approvers.filter((entry) => !entry.startsWith(ROLE));
  const roles = approvers.filter((entry) => entry.startsWith(ROLE)).map((entry) => entry.slice(ROLE.length));
  const words = [...names, ...roles.map((role) => `somebody with the role ${role}`)];
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} or ${words.at(-1)}` : words[0];
}
