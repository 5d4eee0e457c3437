import { expect, it } from 'vitest';
import { loopbackProxy } from '../../sandbox/loopback-proxy.ts';

it.each([
  ['HTTP_PROXY=http://127.0.0.1:3128', 'HTTP_PROXY'],
  ['https_proxy=localhost:3128', 'https_proxy'],
  ['ALL_PROXY=socks5://[::1]:1080', 'ALL_PROXY'],
  ['HTTP_PROXY=http://proxy.test:3128', undefined],
  ['HTTP_PROXY=', undefined],
  ['NO_PROXY=127.0.0.1', undefined],
  ['PATH=/bin', undefined],
])('a proxy on the loopback: %s', (entry, name) => expect(loopbackProxy(['A=b', entry])).toBe(name));
