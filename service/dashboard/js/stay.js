import { html } from "./html.js";
export function StayPage({ stayId }) { return html`<p>${stayId}</p>`; }
