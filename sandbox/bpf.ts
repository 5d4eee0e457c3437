/** One instruction of classic BPF (struct sock_filter). */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** Code that may be laid anywhere: its jumps are relative, and it never runs off its end. */
export type BpfBlock = readonly BpfInstruction[];

const LD_W_ABS = 0x20;
const ALU_AND_K = 0x54;
const JMP_JA = 0x05;
const JMP_JEQ_K = 0x15;
const JMP_JGE_K = 0x35;
const RET_K = 0x06;
const farthestJump = 255;

/** Loads the 32-bit word at `offset` of struct seccomp_data. */
export const load = (offset: number): BpfInstruction => ({ code: LD_W_ABS, jt: 0, jf: 0, k: offset });

/** Keeps the bits of `mask`. */
export const and = (mask: number): BpfInstruction => ({ code: ALU_AND_K, jt: 0, jf: 0, k: mask });

/** Ends the filter with `action`. */
export const ret = (action: number): BpfInstruction => ({ code: RET_K, jt: 0, jf: 0, k: action });

/** `then` where the loaded word equals `k`, else `otherwise`. */
export const ifEqual = (k: number, then: BpfBlock, otherwise: BpfBlock): BpfBlock =>
  branch(JMP_JEQ_K, k, [then, otherwise]);

/** `then` where the loaded word is at least `k`, else `otherwise`. */
export const ifAtLeast = (k: number, then: BpfBlock, otherwise: BpfBlock): BpfBlock =>
  branch(JMP_JGE_K, k, [then, otherwise]);

function branch(code: number, k: number, [then, otherwise]: readonly [BpfBlock, BpfBlock]): BpfBlock {
  if (then.length <= farthestJump) return [{ code, jt: 0, jf: then.length, k }, ...then, ...otherwise];
  const jump = { code: JMP_JA, jt: 0, jf: 0, k: then.length };
  return [{ code, jt: 1, jf: 0, k }, jump, ...then, ...otherwise];
}

/** The bytes that the kernel takes: u16 code, u8 jt, u8 jf, u32 k each. */
export function encodeBpf(block: BpfBlock): Uint8Array {
  const bytes = Buffer.alloc(block.length * 8);
  for (const [index, { code, jt, jf, k }] of block.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  }
  return bytes;
}
