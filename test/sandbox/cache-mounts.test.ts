import { cacheMountsContract } from '../contracts/cache-mounts.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';

cacheMountsContract('directories under flock', () => openSandboxRig('overlay'));
