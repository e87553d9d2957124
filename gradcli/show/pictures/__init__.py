"""Pictures: panels of curves and contours, as text for a terminal and as files by matplotlib."""
