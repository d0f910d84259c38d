/** What a teacher's link tells the fleet that it belongs to. */
import type { TeacherReply } from '../contract/teacher.js';
import type { Admission } from './clientHandshake.js';
import type { ImageRefusedError } from './clientErrors.js';
import type { TeacherLink } from './clientLink.js';
import type { RequeueReason } from './clientOptions.js';
import type { ImageRequest } from './clientRequest.js';

export interface LinkOwner extends Admission {
  /** The whole answer came. */
  onReply(link: TeacherLink, request: ImageRequest, reply: TeacherReply): void;
  /** Asking again is no use. */
  onRefused(link: TeacherLink, request: ImageRequest, error: ImageRefusedError): void;
  /** To be asked again. */
  onFailed(link: TeacherLink, request: ImageRequest, reason: RequeueReason, detail: string): void;
  /** A stream that was open has ended; it will be tried again. */
  onLost(link: TeacherLink): void;
  /** Told to leave, it owes nothing any more. */
  onLeft(link: TeacherLink): void;
  /** The teacher may take more than before, or became ready, or was refused. */
  onChange(link: TeacherLink): void;
}
