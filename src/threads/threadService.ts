/** What both ends of a thread agree on: the calls, what moves with them, the errors that may come. */

/** Any function. */
export type Call = (...args: never[]) => unknown;

/** Plain functions by name; what they take and give crosses threads by structured clone. */
export type CallsOf<Api> = { readonly [Name in keyof Api]: Call };

/** The buffers that move to the other thread in place of being copied: they are empty here then. */
export interface Transfers<OneCall extends Call> {
  readonly given?: (...args: Parameters<OneCall>) => ArrayBuffer[];
  readonly result?: (result: Awaited<ReturnType<OneCall>>) => ArrayBuffer[];
}

export type ErrorClass = abstract new (...args: never[]) => Error;

export interface ThreadService<Api extends CallsOf<Api>> {
  /** For messages: "the inference thread". */
  readonly thread: string;
  readonly calls: { readonly [Name in keyof Api]: Transfers<Api[Name]> };
  /** Classes of the project's own that its calls throw, or give in the place of a result. */
  readonly errors: readonly ErrorClass[];
}

/** The calls as they are done: in the thread, or elsewhere without one. */
export type ThreadHandlers<Api extends CallsOf<Api>> = {
  readonly [Name in keyof Api]: (
    ...args: Parameters<Api[Name]>
  ) => ReturnType<Api[Name]> | Promise<Awaited<ReturnType<Api[Name]>>>;
};

/** The calls as they are made from another thread. */
export type ThreadClient<Api extends CallsOf<Api>> = {
  readonly [Name in keyof Api]: (
    ...args: Parameters<Api[Name]>
  ) => Promise<Awaited<ReturnType<Api[Name]>>>;
};
