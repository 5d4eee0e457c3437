import { syscalls } from './syscalls.ts';

/** Of <linux/netlink.h> and <linux/netfilter/nf_tables.h>. */
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_NETFILTER = 12;
const NFT_GETTABLE = (10 << 8) | 1;
const NLM_F_REQUEST_DUMP = 0x301;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NFTA_TABLE_NAME = 1;
/** struct nlmsghdr, and struct nfgenmsg behind it. */
const headBytes = 16;
const familyBytes = 4;

/** The names of all tables of nftables in our network, whatever their family; `undefined` where the kernel does not tell. Takes less than 1 ms. */
export function nftTables(): readonly string[] | undefined {
  const kernel = syscalls();
  const fd = kernel.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return undefined;
  try {
    const request = tablesRequest();
    if (kernel.send(fd, request, request.length, 0) < 0) return undefined;
    const answer = Buffer.alloc(1 << 16);
    const names: string[] = [];
    for (;;) {
      const size = kernel.recv(fd, answer, answer.length, 0);
      if (size <= 0) return undefined;
      for (const { type, body } of messages(answer.subarray(0, size))) {
        if (type === NLMSG_DONE) return names;
        if (type === NLMSG_ERROR) return undefined;
        names.push(...tableNames(body));
      }
    }
  } finally {
    kernel.close(fd);
  }
}

/** For tables of any family: the rest of the message is zero. */
function tablesRequest(): Buffer {
  const request = Buffer.alloc(headBytes + familyBytes);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(NFT_GETTABLE, 4);
  request.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  return request;
}

function* messages(bytes: Buffer): Generator<{ readonly type: number; readonly body: Buffer }> {
  for (let at = 0; at + headBytes <= bytes.length;) {
    const size = Math.max(bytes.readUInt32LE(at), headBytes);
    yield { type: bytes.readUInt16LE(at + 4), body: bytes.subarray(at + headBytes, at + size) };
    at += aligned(size);
  }
}

/** The attributes of one message: size and type in 16 bits each, a text that ends with a NUL. */
function* tableNames(body: Buffer): Generator<string> {
  for (let at = familyBytes; at + 4 <= body.length;) {
    const size = Math.max(body.readUInt16LE(at), 4);
    if (body.readUInt16LE(at + 2) === NFTA_TABLE_NAME) yield body.toString('utf8', at + 4, at + size - 1);
    at += aligned(size);
  }
}

function aligned(size: number): number {
  return (size + 3) & ~3;
}
