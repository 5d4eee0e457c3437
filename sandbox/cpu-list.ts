/** The numbers of a list as the kernel writes it, such as `0-2,7`; ascending. */
export function parseCpuList(text: string): readonly number[] {
  const numbers = text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
  return [...new Set(numbers)].toSorted((a, b) => a - b);
}

/** Ascending numbers as the kernel writes them. */
export function formatCpuList(numbers: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const range = ranges.at(-1);
    if (range?.last === number - 1) range.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
