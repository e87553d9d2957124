// Two things for the search of the site: it works on pages that are opened from the disk, and it finds options.
// The offline plugin looks for this file's name; without it, the plugin would load a script from another site.
"use strict";
{
  // From file:// a browser starts no worker. A hidden frame runs the same script, in the thread of the page.
  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = frame.contentWindow;
      this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.loaded = new Promise((resolve) => {
        const script = frame.contentDocument.createElement("script");
        Object.assign(script, { src: new URL(url, location.href), onload: resolve });
        frame.contentDocument.body.append(script);
      });
    }
    postMessage(data) {
      this.loaded.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  }

  // In a query, "--expect" would mean "without expect". The index has the words of an option without its dashes.
  const QUERY = 2;
  window.Worker = class extends (location.protocol === "file:" ? FrameWorker : Worker) {
    postMessage(message) {
      const query = message.type === QUERY;
      super.postMessage(query ? { ...message, data: message.data.replace(/(^|\s)-+/g, "$1") } : message);
    }
  };
}
