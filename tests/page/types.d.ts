/** The names that the page's modules use in their types: the API's schemas, and what screens are given. */

import type { Alerts } from "../../apikey-console/page/alerts.js";
import type { CallOptions } from "../../apikey-console/page/api.js";
import type { People } from "../../apikey-console/page/people.js";
import type { components } from "./api";

type Schemas = components["schemas"];

declare global {
  type ApiKey = Schemas["ApiKey"];
  type ApiKeyPage = Schemas["ApiKeyPage"];
  type Activity = Schemas["Activity"];
  type AuditEvent = Schemas["AuditEvent"];
  type Caller = Schemas["Caller"];
  type FieldProblem = Schemas["FieldProblem"];
  type Fleet = Schemas["Fleet"];
  type IssuedKey = Schemas["IssuedKey"];
  type KeyStatus = Schemas["KeyStatus"];
  type Limits = Schemas["Limits"];
  type Role = Schemas["Role"];
  type Scope = Schemas["Scope"];
  type ScopeCatalog = Schemas["Scopes"];
  type ServiceAccount = Schemas["ServiceAccount"];
  type Usage = Schemas["Usage"];
  type UsageBucket = Schemas["UsageBucket"];

  /** What an alert is about, by its event. */
  interface AlertDetails {
    expires_at?: string;
    expired_at?: string;
    since?: string;
    hour?: string;
    requests?: number;
    median?: number;
  }

  type Alert = Omit<Schemas["Alert"], "details"> & { details: AlertDetails };
  type AlertSettings = Schemas["AlertSettings"];
  type Delivery = Schemas["Delivery"];
  type Webhook = Schemas["Webhook"];

  /** Where a change holds: a member of its answer, where several processes share the keys. */
  interface Receipt {
    nodes: number;
    waited_out: string[];
  }

  /** What the API answers to a change. */
  type Changed = { fleet?: Receipt } | null | undefined;

  /** What elements are made of; what says nothing is left out. */
  type Child = Node | string | number | null | undefined | false;
  type Children = Child | Child[];

  /** An element's attributes, or its class. */
  type Attributes = string | Record<string, unknown>;

  /** What the API answers to these calls. */
  interface Answers {
    "GET limits": Limits;
    "GET scopes": ScopeCatalog;
    "GET api-keys": ApiKeyPage;
    "GET service-accounts": List<ServiceAccount>;
    "GET audit-events": List<AuditEvent>;
    "GET usage": Usage;
    "GET alerts": List<Alert>;
    "GET alert-settings": AlertSettings;
    "GET fleet": Fleet;
    "GET webhooks": Schemas["WebhookList"];
  }

  /** A page of a list. */
  interface List<T> {
    items: T[];
    next_cursor?: string | null;
  }

  /** The lists by their paths. */
  type Listed<P extends string> = P extends "api-keys"
    ? ApiKey
    : P extends "audit-events"
      ? AuditEvent
      : P extends "service-accounts"
        ? ServiceAccount
        : P extends "alerts"
          ? Alert
          : P extends `${string}/deliveries`
            ? Delivery
            : Activity;

  /** Reads a page of a list. */
  type Pages<T> = (cursor: string, signal: AbortSignal) => Promise<List<T>>;

  /** Keys as `bulk-revoke` takes them. */
  type Selected = { key_id: string } | { created_by: string };

  /** What `bulk-revoke` hits. */
  interface Reach {
    ids: string[];
    rotated: string[];
    widened: string[];
    remaining: number;
  }

  /** A part of an organization's usage. */
  interface Part {
    name: string;
    query: Record<string, string>;
  }

  /** Requests of an hour or a day. */
  interface Count {
    at: number;
    ok: number;
    refused: number;
  }

  /** A bar of a chart. */
  interface Bar {
    label: string;
    full: string;
    ok: number;
    refused: number;
    isSpike?: boolean;
  }

  /** What a screen is. */
  interface View {
    title: string;
    content: Node[];
  }

  /** What a screen is given. */
  interface Context {
    /** Calls the API; a 401 leads to the sign-in. */
    call<M extends string, P extends string>(
      method: M,
      path: P,
      options?: CallOptions,
    ): Promise<`${M} ${P}` extends keyof Answers ? Answers[`${M} ${P}`] : any>;
    caller: Caller;
    people: People;
    alerts: Alerts;
    /** Where dialogs go. */
    root: ShadowRoot;
    /** Says what was done; the answer of the change tells on how many processes it holds. */
    say(text: string, answer?: Changed): void;
    /** Shows the screen anew, unless the reader has left it. */
    reload(): Promise<void>;
    /** Asks before the reader leaves; null lets them. */
    guard(mayLeave: (() => boolean) | null): void;
  }
}
