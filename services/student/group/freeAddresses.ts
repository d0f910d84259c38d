/** Addresses for the ranks of a group on this machine. */
import { createServer } from 'node:net';

/** TensorFlow's server wants its port to be known beforehand. Another program might take one meanwhile. */
export async function freeAddresses(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const addresses = await Promise.all(
    servers.map(
      (server) =>
        new Promise<string>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const { port } = server.address() as { port: number };
            resolve(`127.0.0.1:${port}`);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}
