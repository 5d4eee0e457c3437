import { fileBackendContract } from '../contracts/file-backend.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';

fileBackendContract('overlay', () => openSandboxRig('overlay'));
fileBackendContract('copy', () => openSandboxRig('copy'));
