/** Who cleans up: a test, or any other piece of work with an end. */
export interface Owner {
  /** Registers what to do at the end; what was registered last is done first. */
  teardown(work: () => unknown): unknown
}

/** An owner outside of tap. */
export class Cleanup implements Owner {
  readonly #works: (() => unknown)[] = []

  teardown(work: () => unknown): void {
    this.#works.push(work)
  }

  /** Does everything that was registered, whatever fails on the way. */
  async finish(): Promise<void> {
    const failures: unknown[] = []
    for (let work = this.#works.pop(); work !== undefined; work = this.#works.pop()) {
      try {
        await work()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'cleaning up failed')
  }
}
