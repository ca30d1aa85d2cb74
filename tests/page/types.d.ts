/** The names that the page's modules use in their types: the API's schemas, and what screens are given. */

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
  type IssuedKey = Schemas["IssuedKey"];
  type KeyStatus = Schemas["KeyStatus"];
  type Limits = Schemas["Limits"];
  type Role = Schemas["Role"];
  type Scope = Schemas["Scope"];
  type ScopeCatalog = Schemas["Scopes"];
  type ServiceAccount = Schemas["ServiceAccount"];
  type Usage = Schemas["Usage"];
  type UsageBucket = Schemas["UsageBucket"];

  /** What elements are made of; what says nothing is left out. */
  type Child = Node | string | number | null | undefined | false;

  /** What a screen is. */
  interface View {
    title: string;
    content: Node[];
  }

  /** What a screen is given. */
  interface Context {
    /** Calls the API; a 401 leads to the sign-in. */
    call<T = any>(method: string, path: string, options?: CallOptions): Promise<T>;
    caller: Caller;
    people: People;
    /** Where dialogs go. */
    root: ShadowRoot;
    /** Says what was done. */
    say(text: string): void;
    /** Shows the screen anew, unless the reader has left it. */
    reload(): Promise<void>;
    /** Asks before the reader leaves; null lets them. */
    guard(mayLeave: (() => boolean) | null): void;
  }
}
