"""Open napari on a sample with the panel docked, as Layers > Segment > EMCAD does."""

import napari

viewer = napari.Viewer()
viewer.open_sample("napari-emcad", "nuclei_colour")
viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")

if __name__ == "__main__":
    napari.run()
