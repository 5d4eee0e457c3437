import { Digester } from '../src/oci/digest.ts';
import { FormatError } from '../src/oci/format-error.ts';
import { TarParser } from '../src/oci/tar-reader.ts';
import { BuildError, isErrno } from '../src/core/error.ts';
import type { LayerTar } from '../src/core/layer-codec.ts';
import type { ByteString } from './byte-string.ts';
import type { ByteSink, FileSinks, JobContext } from './file-jobs.ts';
import { LayerWriter } from './layer-writer.ts';
import { storeError } from './store-error.ts';
import { TarUnpacker } from './tar-unpacker.ts';

/** Opens a job that unpacks a layer tar into an empty directory (see `LayerCodec.apply`). */
export function openLayerTarSink(args: FileSinks['applyTar']['args'], context: JobContext): ByteSink<LayerTar> {
  const digester = new Digester();
  const writer = new LayerWriter(args);
  const unpacker = new TarUnpacker({ writer, at: '' as ByteString, whiteouts: 'apply' });
  const close = (): void => {
    unpacker[Symbol.dispose]();
    writer[Symbol.dispose]();
  };
  const parser = new TarParser(unpacker);
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      throw layerError(error, args.upper, unpacker.current);
    }
  };
  return {
    push: (chunk) => {
      context.checkpoint();
      digester.update(chunk);
      attempt(() => parser.push(chunk));
    },
    finish: () => {
      attempt(() => {
        parser.finish();
        unpacker.finish();
        writer.finish();
      });
      close();
      return { size: digester.size, diffId: digester.digest() };
    },
    abandon: close,
  };
}

function layerError(error: unknown, upper: string, entry: string): unknown {
  if (error instanceof FormatError) {
    return new BuildError(
      'LAYER_INVALID',
      { what: entry === '' ? 'tar' : `entry ${JSON.stringify(entry)}`, reason: error.message },
      { cause: error },
    );
  }
  if (isErrno(error, 'ENAMETOOLONG', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EINVAL', 'EMLINK', 'ELOOP', 'EPERM')) {
    return new BuildError(
      'LAYER_INVALID',
      { what: `entry ${JSON.stringify(entry)}`, reason: error.message },
      { cause: error },
    );
  }
  return storeError(error, upper);
}
