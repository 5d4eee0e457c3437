import type { CacheIndex, CacheKey, CacheRecord, LayerInfo, StepRecord } from '../core/cache.ts';
import { invariant } from '../core/error.ts';
import type { LayerId, LayerStack } from '../core/snapshot.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type CacheDatabase, openCacheDatabase, type Row, type Statements } from './cache-database.ts';
import { failpoint } from './failpoint.ts';
import type { StateDir } from './state-dir.ts';

/** What prune needs besides lookups: all that is recorded, and how to forget it. */
export interface StoreCacheIndex extends CacheIndex, AsyncDisposable {
  /** Every result and layer, with the time of last use. */
  survey(): Promise<CacheSurvey>;
  /** The labelled fields of every result, by its id. */
  resultFields(): Promise<ReadonlyMap<number, string>>;
  /**
   * Forgets, in one transaction, the results and layers named that nobody has used since `usedBeforeMs` and, of the layers, those that no
   * remaining result and no `keep` needs. @returns those of the layers that are not recorded any more; only these may be removed.
   */
  forget(what: ForgetRequest): Promise<readonly LayerId[]>;
  /** About what blobs of layers and unpacked layers take; quick, for finding out whether it is worth measuring. */
  totalBytes(): Promise<number>;
  /** The descriptor of a blob that was made from, or came with, a layer. */
  lookupBlobDescriptor(blob: Digest): Promise<Descriptor | undefined>;
  /** Forgets damaged layers and every result that has one of them, whoever uses them. */
  dropLayers(layers: readonly LayerId[]): Promise<void>;
}

/** All that is recorded. */
export interface CacheSurvey {
  readonly results: readonly {
    readonly id: number;
    readonly stack: LayerStack;
    readonly usedMs: number;
    readonly durationMs: number;
  }[];
  readonly layers: readonly (LayerInfo & { readonly usedMs: number })[];
  /** `compression` as in `lookupBlob`; `isPulled` for blobs that came with an image or a cache. */
  readonly blobs: readonly { readonly diffId: Digest; readonly compression: string; readonly blob: Digest }[];
}

/** What to forget. */
export interface ForgetRequest {
  readonly results: readonly number[];
  readonly layers: readonly LayerId[];
  readonly keep: ReadonlySet<LayerId>;
  readonly usedBeforeMs: number;
}

type Write = (statements: Statements) => void;

/** What a step was is remembered this long after a build last told of it. */
const STEPS_KEPT_MS = 90 * 86_400_000;

/**
 * The cache index as a database in the store. Records are gathered and written together at the end of the current turn of the event
 * loop; the promise of `record…` settles when they are committed. Whatever a lookup finds counts as used, so that no prune takes it.
 */
export function openCacheIndex(state: Pick<StateDir, 'root' | 'index' | 'locked' | 'openedMs'>): StoreCacheIndex {
  return new DatabaseIndex(openCacheDatabase(state), state.openedMs);
}

class DatabaseIndex implements StoreCacheIndex {
  readonly #database: CacheDatabase;
  readonly #openedMs: number;
  /** What is gathered in this turn. */
  #batch: { readonly writes: Write[]; readonly done: Promise<void> } | undefined;
  /** The end of all batches so far, whether they failed or not. */
  #settled: Promise<void> = Promise.resolve();

  constructor(database: CacheDatabase, openedMs: number) {
    this.#database = database;
    this.#openedMs = openedMs;
  }

  async lookup(key: CacheKey): Promise<CacheRecord | undefined> {
    return this.#lookupResult('select r.* from keys k join results r on r.id = k.result where k.key = ?', key);
  }

  async lookupSteps(build: string): Promise<readonly StepRecord[]> {
    await this.#settle();
    const sql = 'select stage, position, text, trace, duration_ms from steps where build = ? order by stage, position';
    return this.#database.read((db) => db.all(sql, build).map(toStepRecord));
  }

  record(keys: readonly CacheKey[], record: CacheRecord): Promise<void> {
    const { stack, createdMs, durationMs, fields } = record;
    return this.#write((db) => {
      const row = db.first(
        'insert into results (stack, created_ms, duration_ms, fields, used_ms) values (?, ?, ?, ?, ?) returning id',
        JSON.stringify(stack),
        Math.round(createdMs),
        durationMs,
        fields,
        this.#now(),
      );
      for (const key of keys)
        db.run('insert or replace into keys (key, result) values (?, ?)', key, numberIn(row, 'id'));
    });
  }

  recordSteps(build: string, steps: readonly StepRecord[]): Promise<void> {
    return this.#write((db) => {
      for (const { stage, position, text, trace, durationMs = null } of steps) {
        db.run(
          `insert into steps (build, stage, position, text, trace, duration_ms, used_ms) values (?, ?, ?, ?, ?, ?, ?)
             on conflict (build, stage, position) do update set text = excluded.text, trace = excluded.trace,
               duration_ms = coalesce(excluded.duration_ms, duration_ms), used_ms = excluded.used_ms`,
          build,
          stage,
          position,
          text,
          trace,
          durationMs,
          this.#now(),
        );
      }
    });
  }

  async lookupLayer(layer: LayerId): Promise<LayerInfo | undefined> {
    const row = await this.#first('select * from layers where layer = ?', layer);
    const mark = 'update layers set used_ms = ? where layer = ?';
    return row !== undefined && (await this.#use(row, mark, layer)) ? toLayerInfo(row) : undefined;
  }

  /** What was recorded first stays, so that the time in an image's history does too. */
  recordLayer({ layer, diffId, size, createdMs }: LayerInfo): Promise<void> {
    return this.#write((db) =>
      db.run(
        `insert into layers (layer, diff_id, size, created_ms, used_ms) values (?, ?, ?, ?, ?) on conflict (layer)
           do update set diff_id = excluded.diff_id, size = excluded.size, used_ms = excluded.used_ms`,
        layer,
        diffId,
        size,
        Math.round(createdMs),
        this.#now(),
      ),
    );
  }

  async lookupBlob(diffId: Digest, compression: string): Promise<Descriptor | undefined> {
    const row = await this.#first(
      'select descriptor from blobs where diff_id = ? and compression = ?',
      diffId,
      compression,
    );
    return row === undefined ? undefined : (JSON.parse(stringIn(row, 'descriptor')) as Descriptor);
  }

  recordBlob(diffId: Digest, compression: string, blob: Descriptor): Promise<void> {
    return this.#write((db) =>
      db.run(
        'insert or replace into blobs (diff_id, compression, digest, descriptor) values (?, ?, ?, ?)',
        diffId,
        compression,
        blob.digest,
        JSON.stringify(blob),
      ),
    );
  }

  async lookupBlobDiffId(blob: Digest): Promise<Digest | undefined> {
    const row = await this.#first('select diff_id from blobs where digest = ? limit 1', blob);
    return row === undefined ? undefined : (stringIn(row, 'diff_id') as Digest);
  }

  async survey(): Promise<CacheSurvey> {
    await this.#settle();
    return this.#database.read((db) => ({
      results: db.all('select id, stack, used_ms, duration_ms from results').map((row) => ({
        id: numberIn(row, 'id'),
        stack: stackIn(row),
        usedMs: numberIn(row, 'used_ms'),
        durationMs: numberIn(row, 'duration_ms'),
      })),
      layers: db.all('select * from layers').map((row) => ({ ...toLayerInfo(row), usedMs: numberIn(row, 'used_ms') })),
      blobs: db.all('select diff_id, compression, digest from blobs').map((row) => ({
        diffId: stringIn(row, 'diff_id') as Digest,
        compression: stringIn(row, 'compression'),
        blob: stringIn(row, 'digest') as Digest,
      })),
    }));
  }

  async resultFields(): Promise<ReadonlyMap<number, string>> {
    await this.#settle();
    return this.#database.read(
      (db) =>
        new Map(db.all('select id, fields from results').map((row) => [numberIn(row, 'id'), stringIn(row, 'fields')])),
    );
  }

  async forget({ results, layers, keep, usedBeforeMs }: ForgetRequest): Promise<readonly LayerId[]> {
    await this.#settle();
    return this.#database.write((db) => {
      for (const id of results) db.run('delete from results where id = ? and used_ms < ?', id, usedBeforeMs);
      db.run('delete from keys where not exists (select 1 from results r where r.id = keys.result)');
      db.run(
        'delete from results where not exists (select 1 from keys k where k.result = results.id) and used_ms < ?',
        usedBeforeMs,
      );
      const needed = new Set(db.all('select stack from results').flatMap(stackIn));
      const unneeded = layers.filter((layer) => !needed.has(layer) && !keep.has(layer));
      for (const layer of unneeded) db.run('delete from layers where layer = ? and used_ms < ?', layer, usedBeforeMs);
      const gone = unneeded.filter((layer) => db.first('select 1 from layers where layer = ?', layer) === undefined);
      db.run('delete from blobs where not exists (select 1 from layers l where l.diff_id = blobs.diff_id)');
      db.run('delete from steps where used_ms < ?', this.#now() - STEPS_KEPT_MS);
      return gone;
    });
  }

  async totalBytes(): Promise<number> {
    await this.#settle();
    return this.#database.read((db) => {
      const layers = numberIn(db.first('select coalesce(sum(size), 0) as bytes from layers'), 'bytes');
      const sizes = "select coalesce(sum(descriptor ->> '$.size'), 0) as bytes from blobs";
      return layers + numberIn(db.first(sizes), 'bytes');
    });
  }

  async lookupBlobDescriptor(blob: Digest): Promise<Descriptor | undefined> {
    const row = await this.#first('select descriptor from blobs where digest = ? limit 1', blob);
    return row === undefined ? undefined : (JSON.parse(stringIn(row, 'descriptor')) as Descriptor);
  }

  async dropLayers(layers: readonly LayerId[]): Promise<void> {
    await this.#settle();
    const damaged = new Set(layers);
    await this.#database.write((db) => {
      const rows = db.all('select id, stack from results').filter((row) => stackIn(row).some((id) => damaged.has(id)));
      for (const row of rows) db.run('delete from results where id = ?', numberIn(row, 'id'));
      db.run('delete from keys where not exists (select 1 from results r where r.id = keys.result)');
      for (const layer of layers) db.run('delete from layers where layer = ?', layer);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settle();
    await this.#database[Symbol.asyncDispose]();
  }

  async #lookupResult(sql: string, value: string): Promise<CacheRecord | undefined> {
    const row = await this.#first(sql, value);
    if (
      row === undefined ||
      !(await this.#use(row, 'update results set used_ms = ? where id = ?', numberIn(row, 'id')))
    )
      return undefined;
    return {
      stack: stackIn(row),
      createdMs: numberIn(row, 'created_ms'),
      durationMs: numberIn(row, 'duration_ms'),
      fields: stringIn(row, 'fields'),
    };
  }

  /** Marks a row as used by a living process, once per process. @returns whether it was still there. */
  async #use(row: Row, mark: string, id: string | number): Promise<boolean> {
    if (numberIn(row, 'used_ms') >= this.#openedMs) return true;
    return this.#database.write((db) => db.run(mark, this.#now(), id) === 1);
  }

  async #first(sql: string, ...values: readonly string[]): Promise<Row | undefined> {
    await this.#settle();
    return this.#database.read((db) => db.first(sql, ...values));
  }

  /** Adds `write` to the transaction that this turn of the event loop ends with. */
  #write(write: Write): Promise<void> {
    if (this.#batch === undefined) {
      const writes: Write[] = [];
      const { promise: turnEnd, resolve } = Promise.withResolvers<void>();
      setImmediate(resolve);
      const done = Promise.all([turnEnd, this.#settled]).then(() => this.#commit(writes));
      this.#batch = { writes, done };
      this.#settled = done.catch(() => undefined);
    }
    this.#batch.writes.push(write);
    return this.#batch.done;
  }

  async #commit(writes: readonly Write[]): Promise<void> {
    this.#batch = undefined;
    await this.#database.write((db) => {
      for (const write of writes) write(db);
      failpoint('records-begun');
    });
    failpoint('records-committed');
  }

  /** Waits for what was recorded before; its failure is reported to whoever recorded it. */
  #settle(): Promise<void> {
    return this.#settled;
  }

  #now(): number {
    return Math.max(Date.now(), this.#openedMs);
  }
}

function toLayerInfo(row: Row): LayerInfo {
  return {
    layer: stringIn(row, 'layer') as LayerId,
    diffId: stringIn(row, 'diff_id') as Digest,
    size: numberIn(row, 'size'),
    createdMs: numberIn(row, 'created_ms'),
  };
}

function toStepRecord(row: Row): StepRecord {
  const durationMs = row['duration_ms'];
  return {
    stage: stringIn(row, 'stage'),
    position: numberIn(row, 'position'),
    text: stringIn(row, 'text'),
    trace: stringIn(row, 'trace'),
    ...(typeof durationMs === 'number' ? { durationMs } : {}),
  };
}

function stackIn(row: Row): LayerStack {
  return JSON.parse(stringIn(row, 'stack')) as LayerStack;
}

function stringIn(row: Row | undefined, column: string): string {
  const value = row?.[column];
  invariant(typeof value === 'string', `column ${column} holds no text`);
  return value;
}

function numberIn(row: Row | undefined, column: string): number {
  const value = row?.[column];
  invariant(typeof value === 'number', `column ${column} holds no number`);
  return value;
}
