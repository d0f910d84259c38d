/** gRPC's options for a client that sends images and receives tensors over a connection of its own. */
import type { ChannelOptions } from '@grpc/grpc-js';
import type { Endpoint } from './target.js';

const MIB = 1024 * 1024;

interface ChannelWishes {
  /** The largest message that is accepted. */
  readonly maxReceiveBytes: number;
  /** The name that a certificate must be issued for; undefined: the endpoint's. */
  readonly serverName: string | undefined;
  /**
   * Whether the connection is tested while calls wait. Servers on gRPC's C core end connections that are
   * tested more than every five minutes without a message in between.
   */
  readonly keepalive: boolean;
}

export function clientChannelOptions(
  { name }: Pick<Endpoint, 'name'>,
  { maxReceiveBytes, serverName: wished, keepalive }: ChannelWishes,
): ChannelOptions {
  // A certificate is issued for a name, not for the IP address that DNS returned.
  const serverName = wished ?? name?.host;
  return {
    // The authority is the DNS name, as if gRPC had looked it up.
    ...(name === undefined ? {} : { 'grpc.default_authority': `${name.host}:${name.port}` }),
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
    // The default of 64 KiB halves the throughput of large messages.
    'grpc-node.flow_control_window': 8 * MIB,
    'grpc.max_receive_message_length': maxReceiveBytes,
    'grpc.max_send_message_length': -1,
    ...(keepalive ? { 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_timeout_ms': 10_000 } : {}),
    // The caller handles failures: another teacher, back-off, a new connection. gRPC's own
    // retries would only keep copies of the images.
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    // Teachers are peers inside a cluster, not sites behind the environment's web proxy.
    'grpc.enable_http_proxy': 0,
  };
}
