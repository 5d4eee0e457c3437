/** tar-stream is CommonJS: in the bundle its names exist only for a static import, so what wants to load it lazily loads this module. */
export { pack } from 'tar-stream';
