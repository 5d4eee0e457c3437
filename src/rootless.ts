export { enterUserNamespace } from '../sandbox/user-namespace.ts';
