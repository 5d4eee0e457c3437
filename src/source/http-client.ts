/** An answer of any status after all redirects. `body` has to be read or destroyed. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly url: URL;
  readonly body: AsyncIterable<Uint8Array> & { destroy(): unknown };
}

/** What sources need of HTTP: the transport of src/registry has this shape. */
export interface HttpClient {
  /** Follows redirects, never from https to http nor with `authorization` to another origin; tries again what may pass. */
  send(request: {
    readonly method: 'GET';
    readonly url: URL;
    readonly headers?: Readonly<Record<string, string>>;
    readonly authorization?: string | undefined;
    readonly repeat: 'safe';
    readonly signal?: AbortSignal | undefined;
  }): Promise<HttpAnswer>;
}

/** The value of a header that is given once. */
export function headerIn(answer: HttpAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : undefined;
}
