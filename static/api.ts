// The REST API as the pages use it: shapes, requests, problems.

import { prefix } from "./dom.ts";
import { creationKey, forgetKey } from "./creating.ts";

/** A number that may be not finite; see `Num` in core. */
export type Num = number | "NaN" | "Infinity" | "-Infinity";

export interface Progress {
  phase: string;
  step: number;
  total_steps: number;
  epoch: number;
  epochs: number;
  fraction: Num;
  images_per_s: Num;
  remaining_s: Num | null;
}

export interface Cost {
  params: number;
  macs: number;
  activations: number;
  /** Where it was measured. */
  latency_ns?: number;
}

export interface ArchitectureNow {
  step: number;
  epoch: number;
  choices: number[];
  text: string;
  cost: Cost;
}

export interface RunView {
  id: string;
  name: string;
  status: string;
  reason: string | null;
  device: string;
  cluster: { job: string; state: string; starts_at: string | null; summary: string } | null;
  started_at: string | null;
  ended_at: string | null;
  attempt: number;
  progress: Progress | null;
  latest: Record<string, Num>;
  sparkline: Num[];
  architecture: ArchitectureNow | null;
}

export type Point = [step: number, value: Num, attempt: number];

export interface SeriesData {
  phase: string;
  name: string;
  points: Point[];
  superseded: Point[];
}

export interface ChoiceInfo {
  tensor: string;
  label: string;
  options: string[];
}

export interface RowsData {
  choices: ChoiceInfo[];
  steps: number[];
  epochs: number[];
  rows: Num[][][];
}

/** What the network of a finished run makes of an input. */
export type PredictionData =
  | { kind: "classes"; classes: { number: number; name: string; probability: number }[]; of: number; fitted: string; hint: string | null; milliseconds: number }
  | { kind: "continuation"; text: string; read: number; added: number; cut_short: boolean; milliseconds: number };

/** What is on its way to become a data set. */
export interface IncomingView {
  id: string;
  state: string;
  file_name: string;
  bytes: number;
  received: number;
  stage: string | null;
  done: number;
  total: number;
}

export interface RunEvent<P> {
  seq: number;
  attempt: number;
  at: string;
  kind: string;
  payload: P;
}

export interface Violation {
  field: string;
  detail: string;
}

/** An answer that is a problem document. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    readonly errors: Violation[],
    readonly requestId: string,
  ) {
    super(detail);
  }

  /** All that a person needs in order to act or to ask. */
  get words(): string {
    const where = this.requestId ? ` (request ${this.requestId})` : "";
    return `${this.title}: ${this.message}${where}`;
  }
}

export const ended = (status: string): boolean => ["succeeded", "failed", "cancelled"].includes(status);

export const api = (path: string): string => `${prefix}/api/v1/${path}`;

export function number(value: Num | null | undefined): number {
  return value === null || value === undefined ? NaN : Number(value);
}

/** Sends a request; the JSON answer, or a thrown [`Problem`]. */
export async function send<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const content = body === undefined ? null : { type: "application/json", body: JSON.stringify(body) };
  return request(method, path, content, signal);
}

/** Asks for something new. Asked again after an answer that was lost, the server gives what the first request made. */
export async function create<T>(path: string, body: unknown): Promise<T> {
  const state = JSON.stringify([path, body]);
  const key = creationKey(state);
  try {
    const made = await request<T>("POST", path, { type: "application/json", body: JSON.stringify(body), key });
    forgetKey(state);
    return made;
  } catch (error) {
    // Without an answer, or with a proxy's, nobody knows whether it was made.
    if (error instanceof Problem && error.status !== 0 && error.status < 500) forgetKey(state);
    throw error;
  }
}

/** Sends a file; the JSON answer, or a thrown [`Problem`]. */
export async function upload<T>(path: string, file: Blob, signal?: AbortSignal): Promise<T> {
  const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
  return request("POST", path, { type, body: file }, signal);
}

/** Puts bytes at a place; the JSON answer, or a thrown [`Problem`]. */
export async function put<T>(path: string, body: Blob, headers: Record<string, string>, signal?: AbortSignal): Promise<T> {
  return request("PUT", path, { type: "application/octet-stream", body, headers }, signal);
}

interface Content {
  type: string;
  body: BodyInit;
  headers?: Record<string, string>;
  /** Names the wish, so that it is granted once. */
  key?: string;
}

async function request<T>(method: string, path: string, content: Content | null, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (content) headers["content-type"] = content.type;
  if (content?.headers) Object.assign(headers, content.headers);
  if (content?.key) headers["idempotency-key"] = content.key;
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (content) init.body = content.body;
  if (signal) init.signal = signal;
  let answer: Response;
  try {
    answer = await fetch(api(path), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "No connection", "the server could not be reached; is it still running?", [], "");
  }
  const text = await answer.text();
  if (answer.ok) return (text ? JSON.parse(text) : undefined) as T;
  throw problem(answer.status, text);
}

function problem(status: number, text: string): Problem {
  try {
    const found = JSON.parse(text) as Record<string, unknown>;
    return new Problem(
      status,
      String(found["title"] ?? "Refused"),
      String(found["detail"] ?? ""),
      (found["errors"] as Violation[] | undefined) ?? [],
      String(found["request_id"] ?? ""),
    );
  } catch {
    return new Problem(status, "Refused", `the server answered with status ${status}`, [], "");
  }
}
