import { spawn } from 'node:child_process';
import { BuildError, isErrno, messageOf } from '../core/error.ts';
import { redactText } from './redact.ts';

/** How the git program is run for one remote. */
export interface GitSettings {
  /** For messages; without credentials. */
  readonly remote: string;
  /** Protocols that git may use, submodules included. */
  readonly protocols: readonly string[];
  /** The Authorization header for http remotes and the origin it is for. */
  readonly authorization?: { readonly origin: string; readonly header: string };
  readonly agentSocket?: string | undefined;
  /** Never shown. */
  readonly secrets: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Runs git in `cwd` and gives its standard output. @throws GIT_FAILED with git's own words, credentials taken out; the signal's reason */
export async function runGit(settings: GitSettings, args: readonly string[], cwd: string): Promise<string> {
  settings.signal?.throwIfAborted();
  const child = spawn('git', [...configuration(), ...args], {
    cwd,
    env: environment(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
    // git's helpers (ssh, git-remote-https) die with it.
    detached: true,
  });
  const stop = (): void => killGroup(child.pid);
  settings.signal?.addEventListener('abort', stop, { once: true });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject).once('close', resolve);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  try {
    const exitCode = await promise;
    if (exitCode === 0) return stdout();
    settings.signal?.throwIfAborted();
    throw failure(settings, explain(stderr()) ?? `exit code ${exitCode ?? 'unknown'}`);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw failure(settings, 'the program git is not installed', error);
    throw error instanceof BuildError || settings.signal?.aborted === true
      ? error
      : failure(settings, messageOf(error), error);
  } finally {
    settings.signal?.removeEventListener('abort', stop);
  }
}

/** GIT_FAILED for the remote, whatever secret `reason` holds taken out. */
export function failure(settings: GitSettings, reason: string, cause?: unknown): BuildError {
  const needsAgent = /Permission denied \(publickey|Host key verification failed/.test(reason);
  const hint = needsAgent
    ? { hint: 'hand over an ssh agent with --ssh default; its host has to be in known_hosts' }
    : {};
  const detail = { remote: settings.remote, reason: redactText(reason, settings.secrets) };
  return new BuildError('GIT_FAILED', detail, { cause, ...hint });
}

const OUTPUT_LIMIT = 16 * 1024 * 1024;
const REASON_LIMIT = 500;

/** What holds for every call: nothing of the repository is executed, nothing of the machine's configuration is read (CVE-2024-32002). */
function configuration(): readonly string[] {
  const settings = [
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'core.untrackedCache=false',
    'core.autocrlf=false',
    'core.logAllRefUpdates=false',
    'core.protectHFS=true',
    'core.protectNTFS=true',
    'credential.helper=',
    'fetch.fsckObjects=true',
    'transfer.fsckObjects=true',
    'gc.auto=0',
    'maintenance.auto=false',
    'init.templateDir=',
    'init.defaultBranch=main',
    'advice.detachedHead=false',
    'submodule.recurse=false',
    'protocol.allow=never',
  ];
  return settings.flatMap((setting) => ['-c', setting]);
}

/** Made from nothing but what git needs (CVE-2021-3602). */
function environment(settings: GitSettings): Record<string, string> {
  const ssh = [
    'ssh',
    '-F',
    '/dev/null',
    '-o',
    'BatchMode=yes',
    '-o',
    'StrictHostKeyChecking=yes',
    '-o',
    'IdentityFile=none',
  ];
  const { authorization, agentSocket } = settings;
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: '/nonexistent',
    XDG_CONFIG_HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    GIT_ALLOW_PROTOCOL: settings.protocols.join(':'),
    GIT_SSH_COMMAND: ssh.join(' '),
    GIT_SSH_VARIANT: 'ssh',
    ...proxies(),
    ...(agentSocket !== undefined && { SSH_AUTH_SOCK: agentSocket }),
    // In the environment, because command lines can be read by everybody on the machine.
    ...(authorization !== undefined && {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `http.${authorization.origin}/.extraHeader`,
      GIT_CONFIG_VALUE_0: `Authorization: ${authorization.header}`,
    }),
  };
}

function proxies(): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size < OUTPUT_LIMIT) chunks.push(chunk);
    size += chunk.byteLength;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

/** The lines of git's error output that say what is wrong, on one line. */
function explain(stderr: string): string | undefined {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ').trim())
    .filter((line) => line !== '');
  const telling = lines.filter((line) => /^(?:fatal|error|remote|ssh|.*denied|.*verification failed)\b/i.test(line));
  const text = (telling.length > 0 ? telling : lines.slice(-2))
    .map((line) => line.replace(/^(?:fatal|error): /, ''))
    .join('; ');
  return text === '' ? undefined : text.slice(0, REASON_LIMIT);
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
