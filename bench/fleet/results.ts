/** What bench/fleet measures. */
import type { MeasuredThere } from '../support/results.js';
import type { SimulatedSize } from './teachers.js';

export interface RemoteResult {
  readonly height: number;
  readonly width: number;
  /** Of each round. */
  readonly onePerSecond: readonly number[];
  readonly twoPerSecond: readonly number[];
  /** Share of the time that the student waited for its teacher. */
  readonly oneWaiting: readonly number[];
  readonly twoWaiting: readonly number[];
}

export interface WaitingResult {
  readonly teachers: number;
  readonly stepMs: number;
  readonly steps: number;
  /** By the steps asked for ahead, rising. */
  readonly prefetch: readonly PrefetchResult[];
}

export interface PrefetchResult {
  readonly prefetchSteps: number;
  /** Of each round. */
  readonly share: readonly number[];
}

export interface ScalingResult {
  readonly teachers: number;
  /** Of each round. */
  readonly imagesPerSecond: readonly number[];
}

export interface FleetFound {
  readonly size: SimulatedSize;
  readonly remote: RemoteResult;
  readonly waiting: WaitingResult;
  readonly scaling: readonly ScalingResult[];
}

export type FleetResults = FleetFound & MeasuredThere;

/** Of the teachers' own time: 1 where none of them ever waits. */
export function linearShare({ teachers }: ScalingResult, rate: number, latencyMs: number): number {
  return (rate * latencyMs) / 1000 / teachers;
}
