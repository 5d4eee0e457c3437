import { describe, expect, it } from 'vitest';
import { errorsOf } from './support/lowering.ts';

/** What was written behind `FROM x`, and what was meant. */
const ROWS: readonly (readonly [string, string])[] = [
  // Instructions
  ['RNU make', 'RUN'],
  ['copi a b', 'COPY'],
  ['ENTRYPIONT a', 'ENTRYPOINT'],
  ['HEALTCHECK NONE', 'HEALTHCHECK'],
  ['ONBUILD RUM make', 'RUN'],
  // Flags of each instruction that has some
  ['RUN --mont=type=cache make', '--mount'],
  ['RUN --netwrok=none make', '--network'],
  ['RUN --securty=insecure make', '--security'],
  ['RUN --devise=gpu make', '--device'],
  ['COPY --form=x a b', '--from'],
  ['COPY --chmd=644 a b', '--chmod'],
  ['COPY --parent a b', '--parents'],
  ['COPY --exlude=x a b', '--exclude'],
  ['ADD --cheksum=sha256:x a b', '--checksum'],
  ['ADD --keep-gitdir=true a b', '--keep-git-dir'],
  ['ADD --unpak a b', '--unpack'],
  ['HEALTHCHECK --intervall=3s CMD a', '--interval'],
  ['HEALTHCHECK --start_period=3s CMD a', '--start-period'],
  ['FROM --plattform=linux/amd64 y', '--platform'],
  // Values of flags
  ['RUN --network=nome make', 'none'],
  ['RUN --network=Host make', 'host'],
  ['RUN --security=insecur make', 'insecure'],
  ['RUN --device=gpu,requird make', 'required'],
  ['COPY --link=ture a b', 'true'],
  ['ADD --unpack=flase a b', 'false'],
  // Keys of mounts
  ['RUN --mount=tpye=bind,target=/x make', 'type'],
  ['RUN --mount=type=cache,tagret=/x make', 'target'],
  ['RUN --mount=type=cache,target=/x,shareing=locked make', 'sharing'],
  ['RUN --mount=type=bind,target=/x,form=y make', 'from'],
  ['RUN --mount=type=bind,target=/x,sorce=y make', 'source'],
  ['RUN --mount=type=bind,target=/x,readonyl make', 'readonly'],
  ['RUN --mount=type=secret,id=a,requierd make', 'required'],
  ['RUN --mount=type=secret,id=a,evn=B make', 'env'],
  ['RUN --mount=type=tmpfs,target=/x,sized=1m make', 'size'],
  ['ONBUILD RUN --mount=tpye=bind,target=/x make\nFROM build', 'type'],
  // Values of mounts
  ['RUN --mount=type=cahce,target=/x make', 'cache'],
  ['RUN --mount=type=binded,target=/x make', 'bind'],
  ['RUN --mount=type=secert,id=a make', 'secret'],
  ['RUN --mount=type=cache,target=/x,sharing=lockd make', 'locked'],
  ['RUN --mount=type=bind,target=/x,rw=ture make', 'true'],
  ['RUN --mount=type=secret,id=a,required=flase make', 'false'],
  // Other words
  ['FROM y SA z', 'AS'],
  ['HEALTHCHECK CMDS a', 'CMD'],
  ['HEALTHCHECK NON', 'NONE'],
  ['STOPSIGNAL SIGTREM', 'SIGTERM'],
  ['EXPOSE 80/tpc', 'tcp'],
  ['EXPOSE 80/updp', 'udp'],
  ['ADD https://example.org/r.git?brnch=x /y', 'branch'],
  ['ADD https://example.org/r.git?mtime=comit /y', 'commit'],
  ['COPY --from=biuld@ a b', 'build'],
];

describe('did you mean', () => {
  it.each(ROWS)('did you mean: %j', (line, meant) => {
    const [error, ...more] = errorsOf(`FROM x AS build\n${line}`);
    expect(`${error?.message}; ${error?.help}`).toMatch(`did you mean ${meant}?`);
    expect(error?.range).toBeDefined();
    expect(more).toEqual([]);
  });

  it.each([
    ['# check=skpi=all', 'skip'],
    ['# check=eror=true', 'error'],
    ['# check=error=ture', 'true'],
    ['# escape=`\n# check=experimetal=all', 'experimental'],
  ])('did you mean: %j above all', (directive, meant) => {
    const [error] = errorsOf(`${directive}\nFROM x`);
    expect(error?.help).toMatch(`did you mean ${meant}?`);
    expect(error?.range).toBeDefined();
  });

  it.each([
    ['RUN --mount=type=bind,target=/x,quux=1 make', /^choose from: type, from, source, target/],
    ['RUN --mount=type=zzz,target=/x make', 'choose from: bind, cache, tmpfs, secret, ssh'],
    ['RUN --mount=type=cache,target=/x,size=1m make', 'size is for --mount=type=tmpfs'],
    ['RUN --mount=type=bind,target=/x,sharing=locked make', 'sharing is for --mount=type=cache'],
    ['RUN --mount=type=cache,target=/x,required make', 'required is for --mount=type=secret, type=ssh'],
    ['RUN --mount=type=ssh,env=A make', 'env is for --mount=type=secret'],
    ['RUN --mount=type=bind,target=/x,mode=700 make', 'mode is for --mount=type=cache, type=secret, type=ssh'],
    ['RUN --network=zzz make', 'choose from: default, none, host'],
    ['COPY --link=maybe a b', 'write --link, --link=true or --link=false'],
    ['WORKDIR --x /y', undefined],
    ['COPY --zzz a b', /^the flags are: --from, --chown/],
  ])('help where nothing is near: %j', (line, help) => {
    const [error] = errorsOf(`FROM x\n${line}`);
    if (help === undefined) expect(error?.help).toBeUndefined();
    else expect(error?.help).toMatch(help);
  });
});
