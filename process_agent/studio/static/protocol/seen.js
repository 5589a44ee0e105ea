/** Which messages came already: a new thread's first events can come twice, unary and on its stream. */

const LIMIT = 4096;

export class Seen {
  constructor() {
    /** Insertion order is age. @type {Set<string>} */
    this.ids = new Set();
  }

  /**
   * Whether this id came before; from now on it did.
   * @param {string | undefined} id
   */
  before(id) {
    if (!id) return false;
    if (this.ids.has(id)) return true;
    this.ids.add(id);
    if (this.ids.size > LIMIT) {
      const [oldest] = this.ids;
      this.ids.delete(oldest);
    }
    return false;
  }
}
