/** The contract between a thread and its caller: calls, transferred buffers, expected errors. */

/** Any function. */
export type Call = (...args: never[]) => unknown;

/** Plain functions by name; their arguments and results cross threads by structured clone. */
export type CallsOf<Api> = { readonly [Name in keyof Api]: Call };

/** The buffers that are moved to the other thread instead of copied; they are empty here afterwards. */
export interface Transfers<OneCall extends Call> {
  readonly given?: (...args: Parameters<OneCall>) => ArrayBuffer[];
  readonly result?: (result: Awaited<ReturnType<OneCall>>) => ArrayBuffer[];
}

export type ErrorClass = abstract new (...args: never[]) => Error;

export interface ThreadService<Api extends CallsOf<Api>> {
  /** For messages: "the inference thread". */
  readonly thread: string;
  readonly calls: { readonly [Name in keyof Api]: Transfers<Api[Name]> };
  /** The project's own error classes that its calls throw or return in place of a result. */
  readonly errors: readonly ErrorClass[];
}

/** The implementation of the calls, in the thread or, without one, in the caller. */
export type ThreadHandlers<Api extends CallsOf<Api>> = {
  readonly [Name in keyof Api]: (
    ...args: Parameters<Api[Name]>
  ) => ReturnType<Api[Name]> | Promise<Awaited<ReturnType<Api[Name]>>>;
};

/** The calls as another thread makes them. */
export type ThreadClient<Api extends CallsOf<Api>> = {
  readonly [Name in keyof Api]: (
    ...args: Parameters<Api[Name]>
  ) => Promise<Awaited<ReturnType<Api[Name]>>>;
};
