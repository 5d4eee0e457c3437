import { mkdirSync, statSync } from 'node:fs';
import { directoryMaker } from '../core/make-directory.ts';

/** Makes a directory with its parents; one that is there will do. */
export const makeDirectory = directoryMaker({ mkdirSync, statSync });
