import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { rename, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildError } from '../core/error.ts';
import type { StateDir } from './state-dir.ts';
import { storeFailure, sqliteCode } from './store-failure.ts';

/** One row, by column name. */
export type Row = Readonly<Record<string, SQLOutputValue>>;

/** Statements within one transaction or one read. Each text is compiled once. */
export interface Statements {
  /** @returns how many rows changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number;
  first(sql: string, ...values: readonly SQLInputValue[]): Row | undefined;
  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[];
}

/** The cache index' file, opened when it is first used. Shared by many processes; none waits long for another. */
export interface CacheDatabase extends AsyncDisposable {
  /** Runs `work` as one transaction that is there whole or not at all, also after kill -9. It may run again after a conflict. */
  write<T>(work: (statements: Statements) => T): Promise<T>;
  read<T>(work: (statements: Statements) => T): Promise<T>;
}

type IndexPlaces = Pick<StateDir, 'root' | 'index' | 'locked'>;

const INDEX_LOCK = { name: 'index', mode: 'exclusive' } as const;
const BUSY = 5;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;
/** How long sqlite itself waits, which stops this whole process; longer waits are ours and do not. */
const BLOCKING_WAIT_MS = 5;
const LONGEST_PAUSE_MS = 25;
/** The log stays short, because the next process reads it when it opens the file. */
const LOG_PAGES = 250;
const PATIENCE_MS = 60_000;

/** Each one brings the file from version `i` to `i + 1`; never change one that was released. */
const MIGRATIONS: readonly string[] = [
  `create table results (id integer primary key, stack text not null, created_ms integer not null, duration_ms real not null,
     fields text not null, used_ms integer not null) strict;
   create table keys (key text primary key, result integer not null) strict, without rowid;
   create index keys_by_result on keys (result);
   create table steps (step text primary key, key text not null) strict, without rowid;
   create table layers (layer text primary key, diff_id text not null, size integer not null, created_ms integer not null,
     used_ms integer not null) strict, without rowid;
   create index layers_by_diff_id on layers (diff_id, created_ms);
   create table blobs (diff_id text not null, compression text not null, digest text not null, descriptor text not null,
     primary key (diff_id, compression)) strict, without rowid;
   create index blobs_by_digest on blobs (digest);`,
  `drop table steps;
   create table steps (build text not null, stage text not null, position integer not null, text text not null, trace text not null,
     duration_ms real, used_ms integer not null, primary key (build, stage, position)) strict, without rowid;`,
];

/** Gives the database; nothing is opened yet. A file that sqlite cannot read is moved aside and made anew: it is only a cache. */
export function openCacheDatabase(places: IndexPlaces): CacheDatabase {
  return new IndexFile(places);
}

class IndexFile implements CacheDatabase {
  readonly #places: IndexPlaces;
  #opening: Promise<Connection> | undefined;

  constructor(places: IndexPlaces) {
    this.#places = places;
  }

  write<T>(work: (statements: Statements) => T): Promise<T> {
    return this.#withConnection((connection) => connection.transaction(work));
  }

  read<T>(work: (statements: Statements) => T): Promise<T> {
    return this.#withConnection((connection) => work(connection));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    await (await opening)?.leave();
  }

  async #withConnection<T>(work: (connection: Connection) => T): Promise<T> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    let rebuilt = false;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const connection = await this.#open();
        // Another call may have found the file unreadable in the meantime.
        if (connection.isOpen) return work(connection);
      } catch (error) {
        if (isCorrupt(error) && !rebuilt) {
          rebuilt = true;
          await this.#rebuild();
        } else if (sqliteCode(error) === BUSY && performance.now() < deadlineMs) await delay(pauseMs);
        else throw storeFailure(error, this.#places.root, this.#places.index);
      }
    }
  }

  async #open(): Promise<Connection> {
    this.#opening ??= openConnection(this.#places);
    try {
      return await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  async #rebuild(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    const connection = await opening?.catch(() => undefined);
    connection?.close();
    await this.#places.locked(INDEX_LOCK, () => moveAside(this.#places));
  }
}

class Connection implements Statements {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  first(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#prepare(sql).all(...values);
  }

  transaction<T>(work: (statements: Statements) => T): T {
    this.#database.exec('begin immediate');
    try {
      const result = work(this);
      this.#database.exec('commit');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#database.isOpen;
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /**
   * Closes and leaves the write-ahead log as it is. The last connection to close would write it into the file and sync twice, which
   * costs more than a cached build; one that may only read cannot, so that one closes last.
   */
  async leave(): Promise<void> {
    const path = this.#database.location();
    if (!this.isOpen || path === null) return;
    const { DatabaseSync } = await import('node:sqlite');
    try {
      using last = new DatabaseSync(path, { readOnly: true, timeout: BLOCKING_WAIT_MS });
      last.prepare('select count(*) from sqlite_schema').get();
      this.close();
    } catch (error) {
      // The file may have been taken away, or be too busy: closing it the slow way is right as well.
      if (sqliteCode(error) === undefined) throw error;
      this.close();
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}

async function openConnection(places: IndexPlaces): Promise<Connection> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(places.index, { timeout: BLOCKING_WAIT_MS });
  try {
    // NORMAL loses at most the last records in a power cut, never consistency; a record lost is a step run once more.
    database.exec(`pragma synchronous=normal; pragma foreign_keys=off; pragma wal_autocheckpoint=${LOG_PAGES}`);
    if (versionOf(database) !== MIGRATIONS.length) {
      // When many processes switch one new file to WAL at once, some of them fail without waiting: hence a lock of our own.
      await places.locked(INDEX_LOCK, async () => migrate(database, places.root));
    }
    return new Connection(database);
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: DatabaseSync, root: string): void {
  const from = versionOf(database);
  if (from > MIGRATIONS.length) {
    const reason = `its cache index has version ${from}, and this tsbuild knows ${MIGRATIONS.length}`;
    throw new BuildError('STORE_UNUSABLE', { path: root, reason });
  }
  if (from === MIGRATIONS.length) return;
  database.exec('pragma journal_mode=wal');
  const steps = MIGRATIONS.slice(from).join('\n');
  database.exec(`begin immediate; ${steps}; pragma user_version=${MIGRATIONS.length}; commit`);
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare('pragma user_version').get()?.['user_version'] ?? 0);
}

/** Another process may have been quicker: only a file that is still unreadable moves. */
async function moveAside(places: IndexPlaces): Promise<void> {
  if (await isReadable(places.index)) return;
  await rename(places.index, `${places.index}.unreadable`);
  await rm(`${places.index}-wal`, { force: true });
  await rm(`${places.index}-shm`, { force: true });
}

async function isReadable(path: string): Promise<boolean> {
  const { DatabaseSync } = await import('node:sqlite');
  try {
    using database = new DatabaseSync(path, { timeout: BLOCKING_WAIT_MS });
    return database.prepare('pragma quick_check').get()?.['quick_check'] === 'ok';
  } catch (error) {
    if (isCorrupt(error)) return false;
    throw error;
  }
}

function isCorrupt(error: unknown): boolean {
  return [CORRUPT, NOT_A_DATABASE].includes(sqliteCode(error) ?? 0);
}
