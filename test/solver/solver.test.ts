import { describe, expect, test } from 'vitest';
import { BuildError, isBuildError } from '../../src/core/error.ts';
import { ScriptedBuild } from './scripted-build.ts';

describe('solver', () => {
  test('runs each vertex of a diamond once', async () => {
    const build = new ScriptedBuild();
    const base = build.run('base');
    const left = build.run('left', [base]);
    const right = build.run('right', [base]);
    const solution = await build.solve(build.merge([left, right]));
    expect(build.ran.toSorted()).toEqual(['base', 'left', 'right']);
    expect(solution).toMatchObject({ cached: 0, ran: 3 });
    expect(solution.stack).toHaveLength(4);
  });

  test('runs what is independent at the same time', async () => {
    const build = new ScriptedBuild();
    const open = Promise.withResolvers<undefined>();
    for (const name of ['one', 'two', 'three']) build.gates.set(name, open.promise);
    const solving = build.solve(build.merge(['one', 'two', 'three'].map((name) => build.run(name))));
    await expect.poll(() => build.ran.length).toBe(3);
    open.resolve(undefined);
    await solving;
  });

  test('runs no more steps at once than there are slots', async () => {
    const build = new ScriptedBuild();
    build.steps = 1;
    const open = Promise.withResolvers<undefined>();
    build.gates.set('one', open.promise);
    const solving = build.solve(build.merge([build.run('one'), build.run('two')]));
    await expect.poll(() => build.ran).toEqual(['one']);
    open.resolve(undefined);
    await solving;
    expect(build.ran).toEqual(['one', 'two']);
  });

  test('runs nothing that the target does not need', async () => {
    const build = new ScriptedBuild();
    const wanted = build.run('wanted');
    build.run('unwanted');
    await build.solve(wanted);
    expect(build.ran).toEqual(['wanted']);
    expect(build.events.map((event) => event.type)).toEqual(['started', 'completed']);
  });

  test('tells of each committed layer and of the stack it lies on', async () => {
    const build = new ScriptedBuild();
    const { stack } = await build.solve(build.run('second', [build.run('first')]));
    expect(build.committed).toEqual([
      { layer: stack[0], lower: [] },
      { layer: stack[1], lower: [stack[0]] },
    ]);
  });
});

describe('solver cache', () => {
  test('a second build runs nothing and gives the same layers', async () => {
    const build = new ScriptedBuild();
    const target = build.run('make', [build.copy([build.run('base'), build.context()], { base: 'input' })]);
    const first = await build.solve(target);
    const second = await build.solve(target);
    expect(build.ran).toEqual([]);
    expect(second).toMatchObject({ stack: first.stack, cached: 3, ran: 0 });
    expect(build.events.filter((event) => event.type === 'completed').map((event) => event.cached)).toContain('yes');
  });

  test('a changed context runs the copy and what lies on it, not what lies below', async () => {
    const build = new ScriptedBuild();
    const target = build.run('make', [build.copy([build.run('base'), build.context()], { base: 'input' })]);
    await build.solve(target);
    build.contextContent = 'v2';
    await build.solve(target);
    expect(build.ran).toEqual(['COPY /', 'make']);
    build.contextContent = 'v1';
    await build.solve(target);
    expect(build.ran).toEqual([]);
  });

  test('an equal output stops the cascade where files are used by content', async () => {
    const build = new ScriptedBuild();
    const target = (flavour: string) =>
      build.copy([build.run('base'), build.run(`compile ${flavour}`)], { base: 'input' });
    build.produces.set('compile a', 'the same binary');
    build.produces.set('compile b', 'the same binary');
    const first = await build.solve(target('a'));
    const second = await build.solve(target('b'));
    expect(build.ran).toEqual(['compile b']);
    expect(second.stack).toEqual(first.stack);
  });

  test('a layer that was removed is made again', async () => {
    const build = new ScriptedBuild();
    const target = build.run('make', [build.run('base')]);
    const { stack } = await build.solve(target);
    build.layers.delete(stack[1] ?? raise());
    await build.solve(target);
    expect(build.ran).toEqual(['make']);
  });

  test('a changed variable of the environment is another step', async () => {
    const build = new ScriptedBuild();
    await build.solve(build.run('make', [], { env: ['A=1'] }));
    await build.solve(build.run('make', [], { env: ['A=2'] }));
    expect(build.ran).toEqual(['make']);
  });

  test('no-cache of a lower step makes what depends on its layer run, but not what uses equal content', async () => {
    const build = new ScriptedBuild();
    const plain = build.run('base');
    await build.solve(build.copy([plain, build.run('tool')], { base: 'input' }));
    const anew = build.run('tool', [], { ignoreCache: true });
    await build.solve(build.copy([plain, anew], { base: 'input' }));
    expect(build.ran).toEqual(['tool']);
    await build.solve(build.run('on top', [build.run('base', [], { ignoreCache: true })]));
    expect(build.ran).toEqual(['base', 'on top']);
  });
});

describe('solver failure', () => {
  test('carries the place of the step and cancels the others', async () => {
    const build = new ScriptedBuild();
    const failure = new BuildError('EXEC_FAILED', { command: 'bad', exitCode: 2 });
    build.gates.set('bad', Promise.reject(failure));
    build.gates.set('slow', new Promise(() => undefined));
    const solving = build.solve(build.merge([build.run('slow'), build.run('bad')]));
    const error: unknown = await solving.catch((reason: unknown) => reason);
    expect(isBuildError(error, 'EXEC_FAILED')).toBe(true);
    expect(error).toMatchObject({ range: { file: 'Dockerfile' }, detail: { exitCode: 2 } });
    expect(build.events.map((event) => event.type).toSorted()).toEqual([
      'canceled',
      'canceled',
      'failed',
      'started',
      'started',
    ]);
  });

  test('an abort of the caller is passed on untouched', async () => {
    const build = new ScriptedBuild();
    const stop = new AbortController();
    build.gates.set('slow', new Promise(() => undefined));
    const solving = build.solve(build.run('slow'), stop.signal);
    await expect.poll(() => build.ran).toEqual(['slow']);
    const reason = new Error('stopped by the user');
    stop.abort(reason);
    await expect(solving).rejects.toBe(reason);
    expect(build.events.at(-1)?.type).toBe('canceled');
  });

  test('settles only after every step has let go', async () => {
    const build = new ScriptedBuild();
    const stop = new AbortController();
    const ended = Promise.withResolvers<undefined>();
    build.lingers.set('slow', ended.promise);
    build.gates.set('slow', new Promise(() => undefined));
    let settled = false;
    const solving = build.solve(build.run('slow'), stop.signal).finally(() => (settled = true));
    await expect.poll(() => build.ran).toEqual(['slow']);
    stop.abort(new Error('stop'));
    await new Promise(setImmediate);
    expect(settled).toBe(false);
    ended.resolve(undefined);
    await expect(solving).rejects.toThrow('stop');
  });

  test('a failed step is not remembered', async () => {
    const build = new ScriptedBuild();
    build.gates.set('make', Promise.reject(new BuildError('EXEC_FAILED', { command: 'make', exitCode: 1 })));
    const target = build.run('make');
    await expect(build.solve(target)).rejects.toThrow('exit code: 1');
    build.gates.delete('make');
    await build.solve(target);
    expect(build.ran).toEqual(['make']);
  });
});

describe('solver beside other processes', () => {
  test('an identical step runs once, and the other one takes its result', async () => {
    const build = new ScriptedBuild();
    const open = Promise.withResolvers<undefined>();
    build.gates.set('first', open.promise);
    const target = build.run('second', [build.run('first')]);
    const solving = [build.solveBeside(target), build.solveBeside(target), build.solveBeside(target)];
    await expect.poll(() => build.ran).toEqual(['first']);
    open.resolve(undefined);
    const solutions = await Promise.all(solving);
    expect(build.ran).toEqual(['first', 'second']);
    expect(solutions.map(({ ran }) => ran).toSorted()).toEqual([0, 0, 2]);
    expect(new Set(solutions.map(({ stack }) => stack.join())).size).toBe(1);
  });

  test('where the first one fails the next one runs the step', async () => {
    const build = new ScriptedBuild();
    const failing = Promise.withResolvers<undefined>();
    build.gates.set('make', failing.promise);
    const target = build.run('make');
    const solving = Promise.allSettled([build.solveBeside(target), build.solveBeside(target)]);
    await expect.poll(() => build.ran).toEqual(['make']);
    build.gates.delete('make');
    failing.reject(new BuildError('EXEC_FAILED', { command: 'make', exitCode: 1 }));
    expect((await solving).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(build.ran).toEqual(['make', 'make']);
  });

  test('who asks for no cache does not wait', async () => {
    const build = new ScriptedBuild();
    const target = build.run('make', [], { ignoreCache: true });
    await Promise.all([build.solveBeside(target), build.solveBeside(target)]);
    expect(build.ran).toEqual(['make', 'make']);
  });
});

function raise(): never {
  throw new Error('there is no such layer');
}
