import { layerCodecContract } from '../contracts/layer-codec.ts';
import { openSandboxRig } from '../support/sandbox-rig.ts';

layerCodecContract('overlay', () => openSandboxRig('overlay'));
layerCodecContract('copy', () => openSandboxRig('copy'));
