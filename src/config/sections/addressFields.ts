/** Addresses: where a service listens, and where a student finds its teachers. */
import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { isUnixAddress, namesUnixSocket, UNIX_ADDRESS_FORM } from '../../contract/unixAddress.js';
import { field, text } from '../fields.js';

/** A host to listen on; an IPv6 address with or without brackets. */
export const listenHost = (doc: string) =>
  field(
    text()
      .refine((host) => !/[[\]]/.test(host) || isIPv6(host.replace(/^\[(.*)\]$/, '$1')))
      .default('127.0.0.1'),
    doc,
    { wanted: 'a host name or an IP address' },
  );

/** An entry of the student's `teacher.addresses`. */
export const teacherAddress = field(
  z
    .string()
    .regex(
      // Of an oip: address the client checks the rest. Any other scheme (http://) is a mistake.
      /^(unix:\S+|dns:(\/\/[^\s/]*\/)?[^\s/]+:\d{1,5}|oips?(\+dns)?:\/\/\S+|(?!dns:|unix-abstract:|oips?\+|[\w+.-]*:\/)\S+:\d{1,5})$/,
    )
    .refine((address) => !namesUnixSocket(address) || isUnixAddress(address)),
  'One teacher server, or a DNS name that stands for all addresses it resolves to.',
  {
    wanted: `host:port, dns:///host:port, dns://server/host:port, oip://host:port/model or ${UNIX_ADDRESS_FORM}`,
  },
);

/** The teacher's `listen.socket`. */
export const listenSocket = field(
  z
    .string()
    .regex(/^unix:\S+$/)
    .refine(isUnixAddress)
    .nullable()
    .default(null),
  'Unix socket to listen on, in addition to the port or instead of it, as unix:path; students on this machine use the same text as address. null: none (docs/security.md).',
  { wanted: `${UNIX_ADDRESS_FORM}, or null` },
);
