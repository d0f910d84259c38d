/**
 * Service definitions from .proto files, at run time.
 *
 * Decoding: camelCase names, enums as their names, absent scalars as their defaults, one
 * virtual field per oneof that names the member present, bytes as a Buffer (a view on the
 * message, which lives as long as the view). 64-bit integers become numbers: exact up to
 * 2^53 - 1, a bound that each .proto loaded here has to state. For encoding, a 64-bit field also
 * accepts a decimal string.
 * services/setup/tools/protoTypes.mjs generates types with the same options.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/** A loaded .proto file: the definition for reflection, and the typed tree of its services. */
export interface LoadedProto<Tree> {
  readonly packageDefinition: PackageDefinition;
  readonly tree: Tree;
}

/**
 * Loads `file` (a path below the project's proto/ folder) with everything that it imports.
 * `Tree` is the generated ProtoGrpcType. Throws when the folder or the file is missing.
 */
export function loadProto<Tree>(file: string): LoadedProto<Tree> {
  const packageDefinition = loadSync(file, {
    keepCase: false,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
    includeDirs: [protoFolder(file)],
  });
  return { packageDefinition, tree: loadPackageDefinition(packageDefinition) as unknown as Tree };
}

/** The nearest proto/ folder above this module, so that it is found from src/ and from dist/. */
function protoFolder(file: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'proto');
    if (existsSync(join(candidate, file))) return candidate;
    const parent = dirname(folder);
    if (parent === folder) {
      throw new Error(`proto/${file}: not found in any folder above ${import.meta.url}`);
    }
    folder = parent;
  }
}
