// Plain JavaScript of an old dialect, so that the Node it refuses can still read it. `npm run` finds Node 24 in
// node_modules/.bin; whoever starts a file by hand may not.
import process from 'node:process';

if (Number.parseInt(process.versions.node, 10) < 24) {
  process.stderr.write(
    `tsbuild needs Node 24 or newer, this is Node ${process.versions.node} (${process.execPath}); ` +
      'in a checkout, start it by `npx tsbuild` or `npm run`, which use the Node 24 in node_modules/.bin\n',
  );
  process.exit(1);
}
