/** Markup in template strings (htm) and a component that is redrawn only when a property changed. */
import htm from "../vendor/htm.js";
import { Component, h } from "../vendor/preact.js";

export const html = htm.bind(h);

const differs = (one, other) =>
  Object.keys(one).length !== Object.keys(other).length ||
  Object.keys(one).some((name) => one[name] !== other[name]);

/** `view` as a component that keeps its picture while every property is the same object or number. */
export const memo = (view) =>
  class extends Component {
    shouldComponentUpdate(next) {
      return differs(this.props, next);
    }

    render(properties) {
      return view(properties);
    }
  };
