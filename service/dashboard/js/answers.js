/** What people answer to an alert. Nothing is shown as done before the service has said so. */
import { post } from "./api.js";

/**
 * `send(alert, action, body)` posts acknowledge, evaluate, shelve or note and answers whether it was taken;
 * `pending` says for an alert_id "sending", or in words what went wrong.
 */
export function createAnswers(ward, changed) {
  const pending = new Map();

  async function send(alert, action, body) {
    if (pending.get(alert.alert_id) === "sending") return false;
    pending.set(alert.alert_id, "sending");
    changed();
    try {
      const { events, ...answered } = await post(`v1/alerts/${alert.alert_id}/${action}`, body);
      pending.delete(alert.alert_id);
      ward.takeAlert(answered);
      return true;
    } catch (error) {
      pending.set(alert.alert_id, `Not ${PAST[action]}: ${error.message}`);
      return false;
    } finally {
      changed();
    }
  }

  /** Say at the alert why nothing was sent. */
  function refuse(alert, words) {
    pending.set(alert.alert_id, words);
    changed();
  }

  return { pending, send, refuse };
}

const PAST = { acknowledge: "acknowledged", evaluate: "evaluated", shelve: "shelved", note: "noted" };
