import { snapshotterContract } from '../contracts/snapshotter.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';

snapshotterContract('overlay', () => openSandboxRig('overlay'));
snapshotterContract('copy', () => openSandboxRig('copy'));
