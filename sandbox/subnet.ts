/** A range of IPv4 addresses that one interface serves. */
export interface Subnet {
  /** Its first address, which no interface has. */
  readonly base: number;
  readonly prefix: number;
}

/** `10.209.0.0/22` as a subnet; `undefined` where the text is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = '', prefix] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(text.trim()) ?? [];
  if (prefix === undefined || Number(prefix) > 32) return undefined;
  const bytes = address.split('.').map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return { base: bytes.reduce((sum, byte) => sum * 256 + byte, 0), prefix: Number(prefix) };
}

/** `10.209.0.7` from its number. */
export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** How many addresses there are in it. */
export function subnetSize({ prefix }: Subnet): number {
  return 2 ** (32 - prefix);
}

/** A subnet of the host's, and the interface that leads to it. */
export interface Route extends Subnet {
  readonly interface: string;
}

/** The subnets that the text of /proc/net/route leads to; the default route is not among them. */
export function parseRoutes(text: string): readonly Route[] {
  return rowsOf(text).flatMap(({ name, destination, mask }): Route[] => {
    if (mask === 0) return [];
    return [{ interface: name, base: destination, prefix: bitCount(mask) }];
  });
}

/** The interface of the default route in the text of /proc/net/route. */
export function defaultInterface(text: string): string | undefined {
  return rowsOf(text).find(({ destination, mask }) => destination === 0 && mask === 0)?.name;
}

function rowsOf(
  text: string,
): readonly { readonly name: string; readonly destination: number; readonly mask: number }[] {
  const rows = text.split('\n').slice(1);
  return rows.flatMap((row) => {
    const [name, destination, , , , , , mask] = row.split('\t');
    if (name === undefined || destination === undefined || mask === undefined) return [];
    return [{ name, destination: littleEndian(destination), mask: littleEndian(mask) }];
  });
}

/** Whether they have an address in common. */
export function overlap(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + subnetSize(b) && b.base < a.base + subnetSize(a);
}

function littleEndian(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE();
}

function bitCount(value: number): number {
  return value.toString(2).replaceAll('0', '').length;
}
