/** Handles that are let go together, last first. (DisposableStack is not in every Node that the package runs on.) */
export class Held implements Disposable {
  readonly #handles: Disposable[] = [];

  hold<T extends Disposable>(handle: T): T {
    this.#handles.push(handle);
    return handle;
  }

  [Symbol.dispose](): void {
    for (const handle of this.#handles.splice(0).reverse()) handle[Symbol.dispose]();
  }
}
