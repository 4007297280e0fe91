// Tells when the kernel of a widget is gone, in front ends that say so.

const KERNEL_GONE = ["restarting", "autorestarting", "dead", "terminating"];

function onKernelGone(model, action) {
  const kernel = model.widget_manager?.kernel;
  kernel?.statusChanged?.connect?.((_, status) => {
    if (KERNEL_GONE.includes(status)) action();
  });
  kernel?.disposed?.connect?.(action);
}
