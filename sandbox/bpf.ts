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

/** The bytes that the kernel takes: u16 code, u8 jt, u8 jf, u32 k each, in the order of this machine, which is little-endian. */
export function encodeBpf(block: BpfBlock): Uint8Array {
  const words = new Uint32Array(block.length * 2);
  for (const [index, { code, jt, jf, k }] of block.entries()) {
    words[2 * index] = code | (jt << 16) | (jf << 24);
    words[2 * index + 1] = k;
  }
  return new Uint8Array(words.buffer);
}
