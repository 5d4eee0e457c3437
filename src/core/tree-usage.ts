/** What files occupy on disk. */
export interface TreeUsage {
  readonly bytes: number;
  readonly inodes: number;
}
